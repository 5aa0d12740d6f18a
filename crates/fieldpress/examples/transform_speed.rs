//! Prints how fast the transforms are: megabytes of `f64` a second on one thread, each way.
//!
//! `cargo run --release --example transform_speed`

use std::time::Instant;

use fieldpress::transform::{wavelet, BlockDct, Wavelet};

/// The best of several runs, in megabytes (10^6 bytes) a second.
fn speed(bytes: usize, mut f: impl FnMut()) -> f64 {
    let once = |f: &mut dyn FnMut()| {
        let t = Instant::now();
        f();
        t.elapsed().as_secs_f64()
    };
    let best = (0..7).map(|_| once(&mut f)).fold(f64::INFINITY, f64::min);
    bytes as f64 / best / 1e6
}

fn main() -> fieldpress::Result<()> {
    println!("{:<24} {:>18} {:>9} {:>9}", "transform", "shape", "forward", "inverse");
    for shape in [vec![128usize, 128, 128], vec![91, 91, 91], vec![1024, 1024], vec![1 << 20]] {
        let n: usize = shape.iter().product();
        let name = shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let mut data: Vec<f64> = (0..n).map(|i| (i as f64 * 0.01) % 7.0).collect();
        for w in [Wavelet::Cdf97, Wavelet::Cdf53] {
            let levels: Vec<u32> = shape.iter().map(|&d| wavelet::default_levels(d)).collect();
            let mut ok = Ok(());
            let f = speed(n * 8, || ok = w.forward(&mut data, &shape, &levels));
            let i = speed(n * 8, || ok = w.inverse(&mut data, &shape, &levels));
            ok?;
            println!("{:<24} {name:>18} {f:>9.0} {i:>9.0}", format!("{w:?}"));
        }
        for edge in [4, 8, 16, 32, 64] {
            let t = BlockDct::new(&shape, &vec![edge; shape.len()])?;
            let mut ok = Ok(());
            let f = speed(n * 8, || ok = t.forward(&mut data));
            let i = speed(n * 8, || ok = t.inverse(&mut data));
            ok?;
            println!("{:<24} {name:>18} {f:>9.0} {i:>9.0}", format!("BlockDct, edge {edge}"));
        }
    }
    Ok(())
}
