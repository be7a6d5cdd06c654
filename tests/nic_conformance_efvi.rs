//! The conformance suite of the NIC seam on the ef_vi backend, over a NIC that the test plays.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "test harnesses fail by panicking")]

mod conformance;
mod efvi_nic;

use std::cell::RefCell;
use std::rc::Rc;

use conformance::{Harness, run_all};
use efvi_nic::{Make, MockVi, Nic, port};
use wirebook::nic::efvi::{BUFFER, Discard, EfviRx, EfviTx, Memory};
use wirebook::nic::{MAX_FRAME, RxDrops};

/// A VI, with the network around it; or one VI for each half.
struct Efvi {
    name: &'static str,
    make: Make,
    rx: EfviRx<MockVi>,
    tx: EfviTx<MockVi>,
    receives: Rc<RefCell<Nic>>,
    sends: Rc<RefCell<Nic>>,
}

impl Harness for Efvi {
    type Rx = EfviRx<MockVi>;
    type Tx = EfviTx<MockVi>;

    fn name(&self) -> &'static str {
        self.name
    }
    fn queues(&mut self) -> (&mut EfviRx<MockVi>, &mut EfviTx<MockVi>) {
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        assert!(self.receives.borrow_mut().receive(frame), "no buffer is posted");
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        self.sends.borrow_mut().sent()
    }
    fn max_frame(&self) -> usize {
        BUFFER - self.make.prefix
    }
    fn in_flight(&self) -> usize {
        // Less than the ring while one burst of it is being looked at.
        64
    }
    fn tx_buffers(&self) -> Option<usize> {
        Some(self.make.send)
    }
    fn inject_undeliverable(&mut self) -> Option<RxDrops> {
        let mut nic = self.receives.borrow_mut();
        nic.discard(Discard::Truncated);
        nic.discard(Discard::Crc);
        if self.make.lends {
            return Some(RxDrops { segmented: 0, truncated: 1 });
        }
        assert!(nic.receive(&[7; MAX_FRAME]));
        Some(RxDrops { segmented: 1, truncated: 1 })
    }
}

fn conforms(name: &'static str, make: Make) {
    let (nic, rx, tx) = port(make);
    run_all(&mut Efvi { name, make, rx, tx, receives: Rc::clone(&nic), sends: nic });
}

#[test]
fn one_event_queue_conforms() {
    conforms("ef_vi, cut-through that fails at times", Make::default());
}

#[test]
fn without_cut_through_conforms() {
    conforms("ef_vi, from memory", Make { cut_through: false, ..Make::default() });
}

#[test]
fn cut_through_that_always_works_conforms() {
    conforms("ef_vi, cut-through", Make { fails_every: 0, stamps: true, ..Make::default() });
}

#[test]
fn every_prefix_conforms() {
    for prefix in [0, 22, 64] {
        conforms("ef_vi, another prefix", Make { prefix, ..Make::default() });
    }
}

#[test]
fn lent_buffers_conform() {
    conforms("ef_vi, buffers of the NIC's", Make { lends: true, prefix: 0, ..Make::default() });
}

#[test]
fn two_event_queues_conform() {
    let make = Make::default();
    let (receives, rx, _) = port(make);
    let (sends, _, tx) = port(make);
    run_all(&mut Efvi { name: "ef_vi, one VI for each half", make, rx, tx, receives, sends });
}

#[test]
fn halves_stay_on_their_thread() {
    assert_not_send!(EfviRx<MockVi>);
    assert_not_send!(EfviTx<MockVi>);
    fn assert_send<T: Send>() {}
    assert_send::<Memory>();
}
