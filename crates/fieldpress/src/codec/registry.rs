//! The one place that names every codec, filter and byte codec; feeds the command line, bindings and the tests.

use serde_json::Value;

use super::chain::Step;
use super::contract::{ByteCodec, Codec, Filter};
use crate::codecs as c;
use crate::error::{Error, Result};

/// The codec that a chain without one uses.
pub const PLAIN: &str = "raw";

/// The plain codec itself.
pub(super) fn plain() -> c::raw::Raw {
    c::raw::Raw {}
}

/// How the registry makes a step from its parameters.
#[derive(Clone, Copy, Debug)]
pub enum Make {
    /// Array to bytes.
    Codec(fn(&Value) -> Result<Box<dyn Codec>>),
    /// Array to array.
    Filter(fn(&Value) -> Result<Box<dyn Filter>>),
    /// Bytes to bytes.
    Bytes(fn(&Value) -> Result<Box<dyn ByteCodec>>),
}

/// What is known of a method before it is configured.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name in chains and streams.
    pub id: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Parameters: name, and what it does with its default.
    pub params: &'static [(&'static str, &'static str)],
    /// How to make it.
    pub make: Make,
    /// Whether, behind the bounded stage under an absolute bound, encoding what decoding produced gives the same values
    /// again. The conformance tests decide.
    pub idempotent: bool,
    /// Whether its parameters alone can say how good it is, so that it may be used with [`Bound::None`](crate::Bound::None).
    pub unbounded: bool,
}

/// Every method, in the order of `fieldpress list`. To add one: its file in `codecs/`, and its line here.
#[rustfmt::skip] // one line each
pub static REGISTRY: &[&Entry] = &[
    &c::interp::ENTRY,
    &c::linear::ENTRY,
    &c::lorenzo::ENTRY,
    &c::lpc::ENTRY,
    &c::dwt::ENTRY,
    &c::dct::ENTRY,
    &c::wavelet::ENTRY,
    &c::tucker::ENTRY,
    &c::octree::ENTRY,
    &c::hermite::ENTRY,
    &c::gmm::ENTRY,
    &c::vlasov::ENTRY,
    &c::blockset::ENTRY,
    &c::pca::ENTRY,
    &c::legendre::ENTRY,
    &c::sem_c0::ENTRY,
    &c::sem_grid::ENTRY,
    &c::harmonics::ENTRY,
    &c::sphere::ENTRY,
    &c::pack::ENTRY,
    &c::zfp::ENTRY,
    &c::raw::ENTRY,
    &c::pco::ENTRY,
    &c::zlib::ENTRY,
    &c::zstd::ENTRY,
    &c::lz4::ENTRY,
    &c::shuffle::ENTRY,
    &c::spatial_delta::ENTRY,
    &c::difference::ENTRY,
    &c::transpose::ENTRY,
    &c::lattice::ENTRY,
    &c::log::ENTRY,
    &c::asinh::ENTRY,
    &c::bitround::ENTRY,
];

/// The entry named `id`. Errors: `Unsupported`, listing the names there are.
pub fn find(id: &str) -> Result<&'static Entry> {
    REGISTRY.iter().copied().find(|e| e.id == id).ok_or_else(|| {
        let names: Vec<_> = REGISTRY.iter().map(|e| e.id).collect();
        Error::unsupported(format!("expected a codec or filter of this build ({}), found {id:?}", names.join(" ")))
    })
}

/// Makes the step named `id` from its parameters, a JSON object. Errors: `Unsupported`, `InvalidArgument`.
pub fn make(id: &str, config: &Value) -> Result<Step> {
    match find(id)?.make {
        Make::Codec(f) => f(config).map(Step::Codec),
        Make::Filter(f) => f(config).map(Step::Filter),
        Make::Bytes(f) => f(config).map(Step::Bytes),
    }
}
