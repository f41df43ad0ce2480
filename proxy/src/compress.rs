//! Compresses apps' answers on their way to the client, where the client likes it and it pays.
//!
//! An answer of unknown length may be streaming: each piece of it is flushed, so that nothing waits in the encoder.

use std::any::Any;
use std::io::{self, Write};
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, TRANSFER_ENCODING, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use pingora_core::modules::http::{HttpModule, HttpModuleBuilder, Module};
use pingora_core::{ErrorType, OrErr, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use temps_state::Encoding;

use crate::accept_encoding::choose;
use crate::headers::text;

/// Codings in the order that costs least when a client likes several equally: they are made for each request.
const PREFERRED: [Encoding; 3] = [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip];
/// Below this many octets compression saves no packet.
const COMPRESSED_BYTES_MIN: u64 = 1_024;
const GZIP_LEVEL: u32 = 5;
const BROTLI_LEVEL: u32 = 4;
const ZSTD_LEVEL: i32 = 3;
/// 2^18 octets: keeps the memory of one answer small.
const WINDOW_LOG: u32 = 18;

/// Compresses one answer. Sits behind the phases: it sees the answer last.
#[derive(Default)]
pub(crate) struct Compression {
    disabled: bool,
    liked: Option<Encoding>,
    /// Flushes every piece.
    streaming: bool,
    /// In a mutex only because not every encoder is `Sync`; it is never locked.
    encoder: Option<Mutex<Encoder>>,
}

impl Compression {
    /// Leaves the answer as it is.
    pub(crate) fn disable(&mut self) {
        self.disabled = true;
    }

    fn encode(&mut self, piece: &[u8], end: bool) -> io::Result<Option<Bytes>> {
        let Some(mutex) = &mut self.encoder else {
            return Ok(None);
        };
        // A poisoned mutex is one that a panicking thread held; nobody ever holds this one.
        let encoder = mutex.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        encoder.write(piece)?;
        if self.streaming && !end && !piece.is_empty() {
            encoder.flush()?;
        }
        let mut octets = encoder.take();
        if end && let Some(mutex) = self.encoder.take() {
            let encoder = mutex.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            octets.extend(encoder.finish()?);
        }
        Ok(Some(octets.into()))
    }
}

/// Makes a [`Compression`] for each request.
pub(crate) struct CompressionBuilder;

impl HttpModuleBuilder for CompressionBuilder {
    fn init(&self) -> Module {
        Box::new(Compression::default())
    }
}

#[async_trait]
impl HttpModule for Compression {
    async fn request_header_filter(&mut self, request: &mut RequestHeader) -> Result<()> {
        self.liked = choose(text(&request.headers, ACCEPT_ENCODING), &PREFERRED);
        Ok(())
    }

    async fn response_header_filter(
        &mut self,
        response: &mut ResponseHeader,
        end_of_stream: bool,
    ) -> Result<()> {
        let interim = response.status.is_informational();
        if self.disabled || interim || !pays(response.status, &response.headers) {
            return Ok(());
        }
        if !varies(&response.headers) {
            response.append_header(VARY, HeaderValue::from_static("Accept-Encoding"))?;
        }
        let Some(encoding) = self.liked.filter(|_| !end_of_stream) else {
            return Ok(());
        };
        self.streaming = !response.headers.contains_key(CONTENT_LENGTH);
        self.encoder =
            Some(Mutex::new(Encoder::new(encoding).or_err(ErrorType::InternalError, "encoder")?));
        mark(response, encoding)
    }

    fn response_body_filter(&mut self, body: &mut Option<Bytes>, end: bool) -> Result<()> {
        let piece = body.as_deref().unwrap_or_default();
        if let Some(encoded) =
            self.encode(piece, end).or_err(ErrorType::InternalError, "compressing")?
        {
            *body = Some(encoded).filter(|octets| !octets.is_empty());
        }
        Ok(())
    }

    fn response_done_filter(&mut self) -> Result<Option<Bytes>> {
        self.encode(&[], true).or_err(ErrorType::InternalError, "compressing")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Tells the client about the coding.
fn mark(response: &mut ResponseHeader, encoding: Encoding) -> Result<()> {
    response.insert_header(CONTENT_ENCODING, encoding.token())?;
    response.remove_header(&CONTENT_LENGTH);
    response.remove_header(&ACCEPT_RANGES);
    response.insert_header(TRANSFER_ENCODING, "chunked")?;
    let strong = response.headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    if let Some(tag) = strong.and_then(|tag| tag.to_str().ok()) {
        let weak = format!("W/{tag}");
        response.insert_header(ETAG, weak)?;
    }
    Ok(())
}

/// Whether an answer is worth compressing, and may be.
fn pays(status: StatusCode, headers: &HeaderMap) -> bool {
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::PARTIAL_CONTENT];
    !bodiless.contains(&status)
        && headers.get(CONTENT_LENGTH).is_none_or(is_long)
        && is_text(text(headers, CONTENT_TYPE))
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && !text(headers, CACHE_CONTROL).contains("no-transform")
}

fn is_long(length: &HeaderValue) -> bool {
    let octets = length.to_str().ok().and_then(|octets| octets.parse::<u64>().ok());
    octets.is_some_and(|octets| octets >= COMPRESSED_BYTES_MIN)
}

/// Whether caches are told already that the answer depends on what codings a client accepts.
fn varies(headers: &HeaderMap) -> bool {
    let names = text(headers, VARY).split(',').map(str::trim);
    names.into_iter().any(|name| name.eq_ignore_ascii_case("accept-encoding"))
}

/// Whether a media type is text at heart. Not event streams: their pieces are too small to gain.
fn is_text(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = media.split_once('/').unwrap_or_default();
    let is_kind = |name: &str| kind.eq_ignore_ascii_case(name);
    let is_one_of = |names: &[&str]| names.iter().any(|name| subtype.eq_ignore_ascii_case(name));
    if is_kind("text") {
        !is_one_of(&["event-stream"])
    } else if is_kind("application") {
        // gRPC's trailers and message framing must pass as they are, whatever its messages are.
        !is_prefixed(subtype, "grpc")
            && (is_one_of(&APPLICATION_TEXTS) || is_suffixed(subtype, &["+json", "+xml"]))
    } else {
        is_kind("image") && is_one_of(&["svg+xml"]) || is_kind("font") && is_one_of(&["ttf", "otf"])
    }
}

/// Subtypes of `application` that are text.
const APPLICATION_TEXTS: [&str; 7] =
    ["javascript", "x-javascript", "json", "xml", "wasm", "x-ndjson", "manifest+json"];

fn is_prefixed(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

fn is_suffixed(text: &str, suffixes: &[&str]) -> bool {
    suffixes.iter().any(|suffix| {
        let from = text.len().checked_sub(suffix.len());
        from.and_then(|from| text.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    })
}

/// One of the encoders, writing into memory.
enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(encoding: Encoding) -> io::Result<Self> {
        Ok(match encoding {
            Encoding::Gzip => {
                Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))
            }
            Encoding::Brotli => {
                let buffer = 4 << 10;
                Self::Brotli(Box::new(brotli::CompressorWriter::new(
                    Vec::new(),
                    buffer,
                    BROTLI_LEVEL,
                    WINDOW_LOG,
                )))
            }
            Encoding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(WINDOW_LOG)?;
                Self::Zstd(encoder)
            }
        })
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(octets),
            Self::Brotli(encoder) => encoder.write_all(octets),
            Self::Zstd(encoder) => encoder.write_all(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    /// What came out so far.
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        })
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decoded(encoding: Encoding, octets: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        match encoding {
            Encoding::Gzip => flate2::read::GzDecoder::new(octets).read_to_end(&mut out)?,
            Encoding::Brotli => brotli::Decompressor::new(octets, 4096).read_to_end(&mut out)?,
            Encoding::Zstd => zstd::stream::read::Decoder::new(octets)?.read_to_end(&mut out)?,
        };
        Ok(out)
    }

    fn compression(encoding: Encoding, streaming: bool) -> Compression {
        let encoder = Some(Mutex::new(Encoder::new(encoding).unwrap()));
        Compression { liked: Some(encoding), streaming, encoder, ..Compression::default() }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let piece = b"the same words over and over ".repeat(100);
        for encoding in PREFERRED {
            for streaming in [false, true] {
                let mut compression = compression(encoding, streaming);
                let mut sent = Vec::new();
                for _ in 0..3 {
                    sent.extend(compression.encode(&piece, false).unwrap().unwrap());
                }
                sent.extend(compression.encode(&[], true).unwrap().unwrap());
                assert_eq!(compression.encode(&[], true).unwrap(), None, "ends once");
                assert_eq!(decoded(encoding, &sent).unwrap(), piece.repeat(3));
                assert!(sent.len() < piece.len(), "{encoding:?} compresses");
            }
        }
    }

    #[test]
    fn a_streamed_piece_can_be_read_before_the_next_one() {
        for encoding in PREFERRED {
            let mut compression = compression(encoding, true);
            let sent = compression.encode(b"first", false).unwrap().unwrap();
            let mut out = [0; 5];
            match encoding {
                Encoding::Gzip => flate2::read::GzDecoder::new(&*sent).read_exact(&mut out),
                Encoding::Brotli => brotli::Decompressor::new(&*sent, 64).read_exact(&mut out),
                Encoding::Zstd => {
                    zstd::stream::read::Decoder::new(&*sent).unwrap().read_exact(&mut out)
                }
            }
            .unwrap();
            assert_eq!(&out, b"first", "{encoding:?}");
        }
    }

    #[test]
    fn only_what_pays_is_compressed() {
        let large = ("content-length", "5000");
        for (status, headers, expected) in [
            (200, vec![("content-type", "text/html"), large], true),
            (200, vec![("content-type", "Text/HTML; charset=utf-8")], true),
            (404, vec![("content-type", "application/problem+json"), large], true),
            (200, vec![("content-type", "image/svg+xml")], true),
            (200, vec![("content-type", "application/x-ndjson")], true),
            (200, vec![("content-type", "text/event-stream")], false),
            (200, vec![("content-type", "image/png"), large], false),
            (200, vec![("content-type", "text/html"), ("content-length", "20")], false),
            (200, vec![("content-type", "text/html"), ("content-encoding", "br")], false),
            (200, vec![("content-type", "text/html"), ("cache-control", "no-transform")], false),
            (206, vec![("content-type", "text/html"), large], false),
            (204, vec![("content-type", "text/html")], false),
            (200, vec![], false),
        ] {
            let map = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(pays(status, &map.collect()), expected, "{status} {headers:?}");
        }
    }
}
