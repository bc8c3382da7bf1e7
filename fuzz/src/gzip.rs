//! Texts as gzip, and back.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// No more than this is unzipped: six megabytes may stand for six gigabytes.
pub const MOST: usize = 16 * 1024 * 1024;

pub fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory")
}

/// The text up to the first fault, and whether there is none.
pub fn plain(bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    let mut decoder = MultiGzDecoder::new(bytes).take(MOST as u64);
    let is_whole = decoder.read_to_end(&mut text).is_ok();
    (text, is_whole)
}
