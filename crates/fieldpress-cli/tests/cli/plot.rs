//! `plot`.

use std::f64::consts::PI;

use super::support::{text, Folder};

/// Width, height and the pixels of a PNG file of colours.
fn decoded(bytes: &[u8]) -> (usize, usize, Vec<[u8; 3]>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut buffer).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    let pixels = buffer.chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect();
    (info.width as usize, info.height as usize, pixels)
}

fn is_red(c: [u8; 3]) -> bool {
    c[0] > c[2] + 40
}

fn is_blue(c: [u8; 3]) -> bool {
    c[2] > c[0] + 40
}

/// Positive in the north, negative in the south.
fn dipole(rings: usize, points: usize) -> Vec<f64> {
    (0..rings * points).map(|i| (PI * (i / points) as f64 / rings as f64).cos()).collect()
}

#[test]
fn a_map_is_red_above_and_blue_below() {
    let f = Folder::new("plot");
    for (name, shape) in [("mw", [32, 63]), ("mwss", [33, 64]), ("dh", [64, 63]), ("gl", [32, 63])] {
        f.npy("map.npy", &shape, dipole(shape[0], shape[1]));
        f.ok(&["plot", "map.npy", "-o", "map.png", "--width", "400", "-f", "--sampling", name]);
        let asked = f.read("map.png");
        let (width, height, pixels) = decoded(&asked);
        assert!(width == 400 && (200..280).contains(&height), "{width} {height}");
        for corner in [0, width - 1, (height - 1) * width, height * width - 1] {
            assert_eq!(pixels[corner], [255; 3], "{name}");
        }
        let above = pixels[40 * width + 200];
        let below = pixels[160 * width + 200];
        assert!(is_red(above) && is_blue(below), "{name}: {above:?} {below:?}");
        // The shape tells the sampling, but for one that is as another.
        f.ok(&["plot", "map.npy", "-o", "guess.png", "--width", "400", "-f"]);
        assert!(name == "gl" || f.read("guess.png") == asked, "{name}");
    }
    assert!(f.fails(&["plot", "map.npy", "-o", "map.png"]).contains("-f"));
}

#[test]
fn longitude_rises_to_the_left_and_what_is_missing_is_grey() {
    let f = Folder::new("plot2");
    let mut values: Vec<f32> = (0..32 * 63).map(|i| if i % 63 < 32 { 1.0 } else { -1.0 }).collect();
    f.npy("map.npy", &[32, 63], values.clone());
    f.ok(&["plot", "map.npy", "-o", "map.png", "--width", "400"]);
    let (width, _, pixels) = decoded(&f.read("map.png"));
    assert!(is_red(pixels[100 * width + 100]) && is_blue(pixels[100 * width + 300]));
    values[..1008].fill(-1.6375e30);
    values[1008..1100].fill(f32::NAN);
    f.npy("map.npy", &[32, 63], values);
    f.ok(&["plot", "map.npy", "-o", "map.png", "--width", "400", "-f"]);
    let (_, _, pixels) = decoded(&f.read("map.png"));
    let [r, g, b] = pixels[50 * width + 200];
    assert!(r == g && g == b && (100..200).contains(&r), "{r} {g} {b}");
}

#[test]
fn healpix_in_both_orders() {
    let f = Folder::new("plot3");
    let nside = 8;
    let ring: Vec<f64> = (0..12 * nside * nside).map(|i| 384.0 - i as f64 - 0.5).collect();
    let nested = fieldpress::sphere::map_to_nested(nside, &ring).unwrap();
    f.npy("ring.npy", &[768], ring);
    f.npy("nested.npy", &[768], nested);
    f.ok(&["plot", "ring.npy", "-o", "ring.png", "--width", "300"]);
    f.ok(&["plot", "nested.npy", "-o", "nested.png", "--width", "300", "--nested"]);
    assert_eq!(f.read("ring.png"), f.read("nested.png"));
    let (width, _, pixels) = decoded(&f.read("ring.png"));
    assert!(is_red(pixels[30 * width + 150]) && is_blue(pixels[130 * width + 150]));
    f.npy("three.npy", &[12 * 9], vec![1.0f32; 108]);
    f.ok(&["plot", "three.npy", "-o", "three.png"]);
    assert!(f.fails(&["plot", "three.npy", "-o", "x.png", "--nested"]).contains("power of two"));
}

#[test]
fn two_maps_titles_and_svg() {
    let f = Folder::new("plot4");
    f.npy("a.npy", &[16, 31], dipole(16, 31));
    f.npy("b.npy", &[16, 31], dipole(16, 31).iter().map(|v| 2.0 * v).collect::<Vec<f64>>());
    f.ok(&["plot", "a.npy", "--against", "b.npy", "-o", "two.png", "--width", "600"]);
    let (width, height, pixels) = decoded(&f.read("two.png"));
    assert_eq!(width, 600);
    let [a, b] = [150, 450].map(|x| pixels[(height / 3) * width + x]);
    assert!(is_red(b) && a[1] > b[1], "{a:?} {b:?}");
    f.ok(&["plot", "a.npy", "--against", "b.npy", "-o", "two.svg", "--title", "first", "--title", "a < b & c"]);
    let svg = text(&f.read("two.svg"));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.matches("<ellipse").count() == 2);
    assert!(svg.contains(">first<") && svg.contains(">a &lt; b &amp; c<") && svg.contains("data:image/png;base64,"));
    // Numbers as asked for.
    f.ok(&["plot", "a.npy", "-o", "one.svg", "--min", "-3", "--max", "5"]);
    let svg = text(&f.read("one.svg"));
    assert!(["-3", "0", "5"].iter().all(|v| svg.contains(&format!(">{v}</text>"))), "{svg}");
    // An archive holds maps as well.
    f.ok(&["compress", "a.npy", "--abs", "1e-3", "-o", "a.fpz"]);
    f.ok(&["plot", "a.fpz", "-o", "archive.png", "--colours", "sequential"]);
    let o = f.run(&["plot", "a.npy", "-o", "-", "--width", "100"]);
    assert_eq!(decoded(&o.stdout).0, 100);
}

#[test]
fn what_is_no_map_and_places_that_cannot_be_written() {
    let f = Folder::new("plot5");
    f.npy("map.npy", &[16, 31], dipole(16, 31));
    f.npy("odd.npy", &[16, 29], vec![0.5f32; 464]);
    f.npy("line.npy", &[100], vec![0.5f32; 100]);
    f.npy("cube.npy", &[4, 4, 4], vec![0.5f32; 64]);
    f.npy("nan.npy", &[16, 31], vec![f32::NAN; 496]);
    let before = f.names();
    for (args, expected) in [
        (&["plot", "odd.npy", "-o", "x.png"][..], "[L, 2L - 1] (mw, gl)"),
        (&["plot", "map.npy", "-o", "x.png", "--sampling", "mwss"], "found the shape [16, 31]"),
        (&["plot", "line.npy", "-o", "x.png"], "12 nside^2"),
        (&["plot", "line.npy", "-o", "x.png", "--sampling", "mw"], "found the shape [100]"),
        (&["plot", "cube.npy", "-o", "x.png"], "map on the sphere"),
        (&["plot", "map.npy", "-o", "x.png", "--nested"], "--nested"),
        (&["plot", "map.npy", "-o", "x.jpg"], ".png or .svg"),
        (&["plot", "map.npy", "-o", "x.png", "--min", "2", "--max", "1"], "found 2 and 1"),
        (&["plot", "map.npy", "-o", "x.png", "--array", "T"], "expected one array that fits T, found data"),
        (&["plot", "map.npy", "-o", "x.png", "--title", "a", "--title", "b"], "--title"),
        (&["plot", "nan.npy", "-o", "x.png"], "finite"),
        (&["plot", "map.npy", "-o", "missing/x.png"], "missing/x.png"),
    ] {
        let message = f.fails(args);
        assert!(message.contains(expected), "{args:?}: {message}");
        assert_eq!(f.names(), before, "{args:?}");
    }
    f.ok(&["plot", "nan.npy", "-o", "x.png", "--min", "0", "--max", "1"]);
}
