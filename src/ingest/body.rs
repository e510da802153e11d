//! Bodies as they are sent, plain or packed.

use std::borrow::Cow;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoding {
    /// Not at all.
    Identity,
    /// With gzip.
    Gzip,
}

/// Why a body cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnpackError {
    /// It is not what it says.
    #[error("the body is not gzip, as its content-encoding says: {0}")]
    NotGzip(std::io::Error),
    /// It grows beyond what is taken.
    #[error("the body is larger than {0} bytes once it is unpacked (limits.delivery_body_bytes)")]
    TooLarge(usize),
}

impl BodyEncoding {
    /// The encoding that a `Content-Encoding` header names; None where it is not known.
    pub fn named(header: Option<&[u8]>) -> Option<Self> {
        match header.unwrap_or_default().trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Some(Self::Identity),
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            _ => None,
        }
    }

    /// The body, unpacked, up to `limit` bytes.
    pub(super) fn unpack(self, body: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, UnpackError> {
        if self == Self::Identity {
            return Ok(Cow::Borrowed(body));
        }
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(body).take(most).read_to_end(&mut unpacked).map_err(UnpackError::NotGzip)?;
        if unpacked.len() > limit { Err(UnpackError::TooLarge(limit)) } else { Ok(Cow::Owned(unpacked)) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_bomb_goes_off_nowhere() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![b' '; 10_000_000]).unwrap();
        let bomb = packer.finish().unwrap();
        assert!(matches!(BodyEncoding::Gzip.unpack(&bomb, 1000), Err(UnpackError::TooLarge(1000))));
        assert_eq!(BodyEncoding::Gzip.unpack(&bomb, 10_000_000).unwrap().len(), 10_000_000);
        assert!(matches!(BodyEncoding::Gzip.unpack(&bomb[..bomb.len() / 2], 10_000_000), Err(UnpackError::NotGzip(_))));
        assert!(matches!(BodyEncoding::Gzip.unpack(b"{}", 1000), Err(UnpackError::NotGzip(_))));
    }
}
