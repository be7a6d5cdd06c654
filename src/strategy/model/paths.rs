//! The computation of a model, once for each [`Path`]: compiled for the processor that it is entered on, with everything
//! that it calls.
#![cfg_attr(
    target_arch = "x86_64",
    allow(
        unsafe_code,
        reason = "functions for processors with more than the baseline; the path says which this one has"
    )
)]

use super::lanes::{Path, Portable};
use super::{FeatureVector, Model};

#[cfg(target_arch = "x86_64")]
use super::lanes::Avx2;

impl Model {
    /// No number where there is no prediction.
    #[inline]
    pub(super) fn infer_on_path(&self, features: &FeatureVector) -> f32 {
        match self.path {
            Path::Portable => self.compute::<Portable>(features),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a path is taken only where `Path::is_available` has found its features.
            Path::Avx2 => unsafe { self.infer_avx2(features) },
            #[cfg(not(target_arch = "x86_64"))]
            Path::Avx2 => self.compute::<Portable>(features),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn infer_avx2(&self, features: &FeatureVector) -> f32 {
        self.compute::<Avx2>(features)
    }
}
