//! Bodies as they are sent, plain or packed.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

/// The bytes with which packed data begins.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];
pub(super) const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The distance that zstd may look back, as a power of two: so much is held in memory. All levels keep to it but the
/// `--ultra` ones and `--long`.
pub(super) const ZSTD_WINDOW: u32 = 25;

/// The encoding of a body, as its request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoding {
    /// No compression is named: the first bytes of the body tell whether it is packed, as those of a file do.
    Identity,
    /// Compressed with gzip.
    Gzip,
    /// Compressed with zstd.
    Zstd,
}

/// Why a body cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    /// The body is not what its header says.
    #[error("the body is not {0}, as its content-encoding says: {1}")]
    NotAsNamed(&'static str, io::Error),
    /// The body is not what its first bytes say.
    #[error("the body begins like {0}, but cannot be unpacked: {1}")]
    NotAsBegun(&'static str, io::Error),
    /// The body grows beyond what is taken.
    #[error("the body is larger than {0} bytes once it is unpacked (limits.delivery_body_bytes)")]
    TooLarge(usize),
}

impl BodyEncoding {
    /// Returns the encoding that a `Content-Encoding` header names; None where it is not known.
    pub fn named(header: Option<&[u8]>) -> Option<Self> {
        match header.unwrap_or_default().trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Some(Self::Identity),
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Returns the encoding that the first bytes of a body tell.
    fn found(body: &[u8]) -> Self {
        if body.starts_with(&GZIP) {
            Self::Gzip
        } else if body.starts_with(&ZSTD) {
            Self::Zstd
        } else {
            Self::Identity
        }
    }

    /// Unpacks a body of up to `limit` bytes.
    pub(super) fn unpack(self, body: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, UnpackError> {
        let is_named = self != Self::Identity;
        let encoding = if is_named { self } else { Self::found(body) };
        let (name, unpacked) = match encoding {
            Self::Identity => return Ok(Cow::Borrowed(body)),
            Self::Gzip => ("gzip", read_up_to(MultiGzDecoder::new(body), limit)),
            Self::Zstd => ("zstd", unzstd(body, limit)),
        };
        match unpacked {
            Ok(unpacked) if unpacked.len() > limit => Err(UnpackError::TooLarge(limit)),
            Ok(unpacked) => Ok(Cow::Owned(unpacked)),
            Err(error) if is_named => Err(UnpackError::NotAsNamed(name, error)),
            Err(error) => Err(UnpackError::NotAsBegun(name, error)),
        }
    }
}

fn unzstd(body: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW)?;
    read_up_to(decoder, limit)
}

/// Reads one byte more than the limit at most: enough to know that there are too many.
fn read_up_to(packed: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut unpacked = Vec::new();
    packed.take(most).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_bomb_goes_off_nowhere() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![b' '; 10_000_000]).unwrap();
        let gzip = packer.finish().unwrap();
        let zstd = zstd::encode_all(&vec![b' '; 10_000_000][..], 3).unwrap();
        for (named, bomb) in [(BodyEncoding::Gzip, gzip), (BodyEncoding::Zstd, zstd)] {
            for encoding in [named, BodyEncoding::Identity] {
                assert!(matches!(encoding.unpack(&bomb, 1000), Err(UnpackError::TooLarge(1000))), "{encoding:?}");
                assert_eq!(encoding.unpack(&bomb, 10_000_000).unwrap().len(), 10_000_000, "{encoding:?}");
            }
            let half = &bomb[..bomb.len() / 2];
            assert!(matches!(named.unpack(half, 10_000_000), Err(UnpackError::NotAsNamed(..))));
            assert!(matches!(BodyEncoding::Identity.unpack(half, 10_000_000), Err(UnpackError::NotAsBegun(..))));
            assert!(matches!(named.unpack(b"{}", 1000), Err(UnpackError::NotAsNamed(..))));
        }
        assert_eq!(&*BodyEncoding::Identity.unpack(b"{}", 1000).unwrap(), b"{}");
    }
}
