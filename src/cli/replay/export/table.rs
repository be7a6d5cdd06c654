//! Rows on their way into a Parquet file.
//!
//! | column | type | what |
//! |---|---|---|
//! | `timestamp` | INT64 | exchange time of the event, ns since midnight |
//! | `locate` | INT32 | instrument of the day |
//! | `symbol` | UTF8 | its ticker |
//! | `twice_mid` | INT64 | best bid + best ask, 1/10,000 |
//! | one for each of the features' names | FLOAT | [`vector`](crate::strategy::features::vector) |
//! | `move_changes`, `move_ms` | FLOAT, may be null | [`labels`](super::labels) |
//!
//! Metadata of the file: `horizon_changes` and `horizon_ms`, when the two labels were taken. Not compressed: so that the
//! writer needs no codec; `pyarrow` rewrites it smaller where that matters.
//!
//! A row is written once both of its labels are there or known never to be, in row groups of [`GROUP`] and more. Until then it
//! is in memory, and with it those after it: some 180 bytes each.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::Exported;
use super::labels::Horizons;
use crate::market::Symbol;
use crate::strategy::features::{FeatureVector, NAMES};

/// Rows after which a row group is looked for.
const GROUP: usize = 1 << 16;

/// What is known when a row is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) timestamp: u64,
    pub(super) locate: u16,
    pub(super) symbol: Symbol,
    pub(super) twice_mid: u64,
    pub(super) features: FeatureVector,
}

/// A label, if it is known yet.
#[derive(Clone, Copy, Debug)]
enum Label {
    Open,
    Known(Option<f32>),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    row: Row,
    changes: Label,
    ms: Label,
}

/// See the [module](self).
pub(super) struct Table {
    writer: SerializedFileWriter<BufWriter<File>>,
    horizons: Horizons,
    rows: VecDeque<Entry>,
    /// Rows that were written: the number of the first in memory.
    written: u64,
    /// Rows at which a group is looked for next.
    look_at: usize,
    exported: Exported,
}

impl Table {
    pub(super) fn new(file: File, horizons: Horizons) -> Result<Self, ParquetError> {
        let mut schema = "message features {
            REQUIRED INT64 timestamp; REQUIRED INT32 locate; REQUIRED BINARY symbol (UTF8); REQUIRED INT64 twice_mid;"
            .to_owned();
        for name in NAMES {
            let _ = write!(schema, " REQUIRED FLOAT {name};");
        }
        schema += " OPTIONAL FLOAT move_changes; OPTIONAL FLOAT move_ms; }";
        let said = [("horizon_changes", horizons.changes), ("horizon_ms", horizons.ns / 1_000_000)];
        let said = said.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_string()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_column_dictionary_enabled("symbol".into(), true)
            .set_key_value_metadata(Some(said.to_vec()))
            .set_created_by("wirebook".to_owned())
            .build();
        let schema = Arc::new(parse_message_type(&schema)?);
        let writer = SerializedFileWriter::new(BufWriter::new(file), schema, Arc::new(properties))?;
        Ok(Self {
            writer,
            horizons,
            rows: VecDeque::new(),
            written: 0,
            look_at: GROUP,
            exported: Exported::default(),
        })
    }

    /// Adds a row: its number, and when it will have its labels.
    pub(super) fn add(&mut self, row: &Row) -> (u64, Horizons) {
        self.rows.push_back(Entry { row: *row, changes: Label::Open, ms: Label::Open });
        (self.written + self.rows.len() as u64 - 1, self.horizons)
    }

    pub(super) fn label_changes(&mut self, row: u64, label: Option<f32>) {
        self.exported.unlabelled_changes += u64::from(label.is_none());
        if let Some(entry) = self.rows.get_mut((row - self.written) as usize) {
            entry.changes = Label::Known(label);
        }
    }

    pub(super) fn label_ms(&mut self, row: u64, label: Option<f32>) {
        self.exported.unlabelled_ms += u64::from(label.is_none());
        if let Some(entry) = self.rows.get_mut((row - self.written) as usize) {
            entry.ms = Label::Known(label);
        }
    }

    /// Writes what is complete, if that may be a group.
    pub(super) fn flush_full(&mut self) -> Result<(), ParquetError> {
        if self.rows.len() < self.look_at {
            return Ok(());
        }
        let open = |entry: &Entry| matches!((entry.changes, entry.ms), (Label::Open, _) | (_, Label::Open));
        let complete = self.rows.iter().position(open).unwrap_or(self.rows.len());
        if complete >= GROUP {
            self.write(complete)?;
        }
        self.look_at = self.rows.len() + GROUP;
        Ok(())
    }

    /// Writes all, and the end of the file.
    pub(super) fn finish(mut self) -> Result<Exported, ParquetError> {
        if !self.rows.is_empty() {
            self.write(self.rows.len())?;
        }
        self.writer.finish()?;
        Ok(Exported { rows: self.written, ..self.exported })
    }

    /// A row group of the first `count` rows.
    fn write(&mut self, count: usize) -> Result<(), ParquetError> {
        let rows: Vec<Entry> = self.rows.drain(..count).collect();
        self.written += count as u64;
        let mut group = self.writer.next_row_group()?;
        column::<Int64Type>(&mut group, rows.iter().map(|entry| entry.row.timestamp.cast_signed()))?;
        column::<Int32Type>(&mut group, rows.iter().map(|entry| i32::from(entry.row.locate)))?;
        column::<ByteArrayType>(&mut group, rows.iter().map(|entry| name(entry.row.symbol)))?;
        column::<Int64Type>(&mut group, rows.iter().map(|entry| entry.row.twice_mid.cast_signed()))?;
        for feature in 0..NAMES.len() {
            column::<FloatType>(&mut group, rows.iter().map(|entry| entry.row.features.0[feature]))?;
        }
        labels(&mut group, rows.iter().map(|entry| entry.changes))?;
        labels(&mut group, rows.iter().map(|entry| entry.ms))?;
        group.close()?;
        Ok(())
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, BufWriter<File>>;

/// The next column, every value there.
fn column<T: DataType>(
    group: &mut Group<'_>,
    values: impl Iterator<Item = T::T>,
) -> Result<(), ParquetError> {
    let values: Vec<T::T> = values.collect();
    write_column::<T>(group, &values, None)
}

/// The next column, of labels.
fn labels(group: &mut Group<'_>, values: impl Iterator<Item = Label>) -> Result<(), ParquetError> {
    let all: Vec<Option<f32>> =
        values.map(|label| if let Label::Known(label) = label { label } else { None }).collect();
    let there: Vec<i16> = all.iter().map(|label| i16::from(label.is_some())).collect();
    let values: Vec<f32> = all.into_iter().flatten().collect();
    write_column::<FloatType>(group, &values, Some(&there))
}

fn write_column<T: DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    there: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("the schema has fewer columns than are written".to_owned()));
    };
    column.typed::<T>().write_batch(values, there, None)?;
    column.close()
}

fn name(symbol: Symbol) -> ByteArray {
    symbol.to_string().into_bytes().into()
}
