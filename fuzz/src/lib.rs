//! What the fuzz targets do with their bytes.

pub mod targets;

/// Keeps all work on the fuzzer's own thread, where its coverage is steady.
pub fn single_thread() {
    // A second call finds the pool already there, which is as good.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
}
