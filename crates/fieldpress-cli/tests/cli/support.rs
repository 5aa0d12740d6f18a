//! A folder for each test, the binary, and small files.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use fieldpress::array::Element;
use fieldpress::io::npy;
use fieldpress::Array;
use serde_json::Value;

/// A folder that goes when the test ends well.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Folder {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
    /// A `.npy` file.
    pub(crate) fn npy<T: Element>(&self, name: &str, shape: &[usize], values: Vec<T>) -> PathBuf {
        self.write(name, &npy_bytes(shape, values))
    }
    /// Runs the binary in this folder.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.pipe(args, b"")
    }
    /// Runs the binary in this folder with standard input.
    pub(crate) fn pipe(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fieldpress"))
            .args(args)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // From another thread: the child may write before it has read everything.
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    }
    /// Runs the binary, which must succeed, and returns its standard output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let o = self.run(args);
        assert!(o.status.success(), "{args:?}: {}", text(&o.stderr));
        text(&o.stdout)
    }
    /// As [`Folder::ok`], from JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }
    /// Runs the binary, which must fail with code 2 and one line, and returns that line.
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let o = self.run(args);
        let message = text(&o.stderr);
        assert_eq!(o.status.code(), Some(2), "{args:?}: {message}");
        assert!(message.starts_with("fieldpress: ") && message.lines().count() == 1, "{message}");
        message
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn npy_bytes<T: Element>(shape: &[usize], values: Vec<T>) -> Vec<u8> {
    let a = Array::from_vec(shape, values).unwrap();
    let mut bytes = npy::header(T::DTYPE, &a.shape());
    bytes.extend(a.data().to_le_bytes());
    bytes
}

pub(crate) fn from_npy<T: Element>(bytes: &[u8]) -> (Vec<usize>, Vec<T>) {
    let a = npy::read_npy(bytes).unwrap();
    (a.shape().to_vec(), a.as_typed::<T>().unwrap().to_vec())
}

/// Smooth values over a plane.
pub(crate) fn waves(n: usize, m: usize) -> Vec<f32> {
    (0..n * m).map(|i| ((i % m) as f32 * 0.07).sin() * 10.0 + ((i / m) as f32 * 0.05).cos() * 3.0).collect()
}

/// A sample of the repository.
pub(crate) fn sample(name: &str) -> String {
    format!("{}/../../samples/{name}", env!("CARGO_MANIFEST_DIR"))
}
