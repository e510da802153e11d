//! Request bodies, plain or compressed.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// The first bytes of gzip data.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The first bytes of zstd data.
pub(super) const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The maximum window of zstd as a power of two, which bounds the memory that decompression takes. Only data that was
/// compressed with `--ultra` or `--long` exceeds it.
pub(super) const ZSTD_WINDOW: u32 = 25;

/// The encoding of a body, as the request's header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoding {
    /// No compression is named. The first bytes of the body decide whether it is compressed, as with a file.
    Identity,
    /// Compressed with gzip.
    Gzip,
    /// Compressed with zstd.
    Zstd,
}

/// The reason why a body cannot be decompressed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecompressError {
    /// The body is not in the format that its header names.
    #[error("the body is not {0}, the format that its content-encoding names: {1}")]
    NotAsNamed(&'static str, io::Error),
    /// The body is not in the format with whose first bytes it begins.
    #[error("the body begins like {0}, but cannot be decompressed: {1}")]
    NotAsBegun(&'static str, io::Error),
    /// The decompressed body is larger than the limit.
    #[error("the decompressed body is larger than {0} bytes (limits.delivery_body_bytes)")]
    TooLarge(usize),
}

impl BodyEncoding {
    /// Returns the encoding that a `Content-Encoding` header names; None if it is unknown.
    pub fn named(header: Option<&[u8]>) -> Option<Self> {
        match header.unwrap_or_default().trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Some(Self::Identity),
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Detects the encoding of a body by its first bytes.
    fn detect(body: &[u8]) -> Self {
        if body.starts_with(&GZIP) {
            Self::Gzip
        } else if body.starts_with(&ZSTD) {
            Self::Zstd
        } else {
            Self::Identity
        }
    }

    /// Decompresses a body of up to `limit` bytes.
    pub(super) fn decompress(self, body: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, DecompressError> {
        let is_named = self != Self::Identity;
        let encoding = if is_named { self } else { Self::detect(body) };
        let (name, decompressed) = match encoding {
            Self::Identity => return Ok(Cow::Borrowed(body)),
            Self::Gzip => ("gzip", read_up_to(MultiGzDecoder::new(body), limit)),
            Self::Zstd => ("zstd", unzstd(body, limit)),
        };
        match decompressed {
            Ok(decompressed) if decompressed.len() > limit => Err(DecompressError::TooLarge(limit)),
            Ok(decompressed) => Ok(Cow::Owned(decompressed)),
            Err(error) if is_named => Err(DecompressError::NotAsNamed(name, error)),
            Err(error) => Err(DecompressError::NotAsBegun(name, error)),
        }
    }
}

fn unzstd(body: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW)?;
    read_up_to(decoder, limit)
}

/// Reads at most one byte more than the limit, so that the caller notices an excess without reading all of it.
fn read_up_to(compressed: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut decompressed = Vec::new();
    compressed.take(most).read_to_end(&mut decompressed)?;
    Ok(decompressed)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_decompression_bomb_is_limited() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![b' '; 10_000_000]).unwrap();
        let gzip = encoder.finish().unwrap();
        let zstd = zstd::encode_all(&vec![b' '; 10_000_000][..], 3).unwrap();
        for (named, bomb) in [(BodyEncoding::Gzip, gzip), (BodyEncoding::Zstd, zstd)] {
            for encoding in [named, BodyEncoding::Identity] {
                assert!(
                    matches!(encoding.decompress(&bomb, 1000), Err(DecompressError::TooLarge(1000))),
                    "{encoding:?}"
                );
                assert_eq!(encoding.decompress(&bomb, 10_000_000).unwrap().len(), 10_000_000, "{encoding:?}");
            }
            let half = &bomb[..bomb.len() / 2];
            assert!(matches!(named.decompress(half, 10_000_000), Err(DecompressError::NotAsNamed(..))));
            assert!(matches!(
                BodyEncoding::Identity.decompress(half, 10_000_000),
                Err(DecompressError::NotAsBegun(..))
            ));
            assert!(matches!(named.decompress(b"{}", 1000), Err(DecompressError::NotAsNamed(..))));
        }
        assert_eq!(&*BodyEncoding::Identity.decompress(b"{}", 1000).unwrap(), b"{}");
    }
}
