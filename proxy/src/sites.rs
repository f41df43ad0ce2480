//! The static sites that are served: their manifests in memory, their files streamed from disk.

use std::collections::HashMap;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::BytesMut;
use http::Method;
use http::header::{
    ACCEPT, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION, VARY,
};
use pingora_core::{Error, ErrorType, OrErr, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use temps_state::{Encoding, MANIFEST, Manifest, StaticFile};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tracing::{error, warn};

use crate::conditions::{Answer, answer, etag, http_date};
use crate::error_page::Fault;
use crate::headers::text;
use crate::stamp::Stamp;
use crate::static_site::{Found, find, is_fingerprinted};

/// How much of a file is read at once.
const PIECE: usize = 64 << 10;
/// For files whose name changes with their content.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// For all others: kept, but asked about each time.
const ASK_FIRST: &str = "public, max-age=0, must-revalidate";

/// One site.
#[derive(Debug)]
pub(crate) struct Site {
    folder: PathBuf,
    manifest: Manifest,
}

/// All sites that routes point at, by digest.
pub(crate) struct Sites {
    /// The folder that holds a folder per site.
    folder: PathBuf,
    loaded: ArcSwap<HashMap<String, Arc<Site>>>,
}

impl Sites {
    /// The sites under a data folder; none is loaded yet.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("static"), loaded: ArcSwap::default() }
    }

    /// A site that is loaded.
    pub(crate) fn get(&self, digest: &str) -> Option<Arc<Site>> {
        self.loaded.load().get(digest).cloned()
    }

    /// Loads the sites of these digests and lets go of all others. Blocks on the disk.
    pub(crate) fn keep<'a>(&self, digests: impl Iterator<Item = &'a str>) {
        let loaded = self.loaded.load();
        let site = |digest: &str| {
            loaded.get(digest).cloned().or_else(|| {
                let read = Site::read(self.folder.join(digest));
                read.inspect_err(|error| warn!(digest, %error, "cannot read a static site"))
                    .ok()
                    .map(Arc::new)
            })
        };
        let kept = digests
            .filter(|digest| is_hex(digest))
            .filter_map(|digest| Some((digest.to_owned(), site(digest)?)))
            .collect();
        self.loaded.store(Arc::new(kept));
    }
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_hexdigit())
}

impl Site {
    fn read(folder: PathBuf) -> io::Result<Self> {
        let manifest: Manifest = serde_json::from_slice(&std::fs::read(folder.join(MANIFEST))?)?;
        if manifest.files.values().all(|file| is_hex(&file.sha256)) {
            Ok(Self { folder, manifest })
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a file's digest is not in hex"))
        }
    }

    /// Answers a request with a file, or says why not.
    pub(crate) async fn serve(
        &self,
        session: &mut Session,
        single_page: bool,
        stamp: Stamp<'_>,
    ) -> Result<std::result::Result<(), Fault>> {
        let head = session.req_header();
        let method = head.method.clone();
        if method != Method::GET && method != Method::HEAD {
            return Ok(Err(Fault::MethodNotAllowed));
        }
        let navigation = text(&head.headers, ACCEPT).contains("text/html");
        let (path, file, answer) =
            match find(&self.manifest, head.uri.path(), single_page, navigation) {
                Found::File(path, file) => {
                    match answer(file, self.manifest.built_at, &method, &head.headers) {
                        Ok(answer) => (path, file, answer),
                        Err(fault) => return Ok(Err(fault)),
                    }
                }
                Found::Folder => return redirect(session, stamp).await.map(Ok),
                Found::NotFoundPage(path, file) => {
                    return self.send_not_found(session, path, file, stamp).await.map(Ok);
                }
                Found::Nothing => return Ok(Err(Fault::NotFound)),
            };
        self.send(session, path, file, answer, stamp).await.map(Ok)
    }

    async fn send(
        &self,
        session: &mut Session,
        path: &str,
        file: &StaticFile,
        answer: Answer,
        stamp: Stamp<'_>,
    ) -> Result<()> {
        let (status, encoding, first) = match answer {
            Answer::NotModified(encoding) => {
                let mut header = self.header(304, path, file, encoding)?;
                stamp.mark(&mut header)?;
                return session.write_response_header(Box::new(header), true).await;
            }
            Answer::Whole(encoding) => (200, encoding, 0),
            Answer::Part { first, .. } => (206, None, first),
        };
        let (content, kept) = self.open(file, encoding).await?;
        let length = match answer {
            Answer::Part { first, last } => last - first + 1,
            _ => kept,
        };
        let mut header = self.header(status, path, file, encoding)?;
        if let Answer::Part { first, last } = answer {
            header.insert_header(CONTENT_RANGE, format!("bytes {first}-{last}/{kept}"))?;
        }
        stamp.mark(&mut header)?;
        stream(session, header, content, first, length).await
    }

    async fn send_not_found(
        &self,
        session: &mut Session,
        path: &str,
        file: &StaticFile,
        stamp: Stamp<'_>,
    ) -> Result<()> {
        let (content, length) = self.open(file, None).await?;
        let mut header = ResponseHeader::build(404, None)?;
        header.insert_header(CONTENT_TYPE, content_type(path))?;
        header.insert_header(CACHE_CONTROL, ASK_FIRST)?;
        stamp.mark(&mut header)?;
        stream(session, header, content, 0, length).await
    }

    fn header(
        &self,
        status: u16,
        path: &str,
        file: &StaticFile,
        encoding: Option<Encoding>,
    ) -> Result<ResponseHeader> {
        let mut header = ResponseHeader::build(status, Some(12))?;
        let cache = if is_fingerprinted(path) { FOR_EVER } else { ASK_FIRST };
        header.insert_header(CACHE_CONTROL, cache)?;
        header.insert_header(ETAG, etag(file, encoding))?;
        header.insert_header(LAST_MODIFIED, http_date(self.manifest.built_at))?;
        if !file.encodings.is_empty() {
            header.insert_header(VARY, "Accept-Encoding")?;
        }
        if status == 304 {
            return Ok(header);
        }
        header.insert_header(CONTENT_TYPE, content_type(path))?;
        header.insert_header(ACCEPT_RANGES, "bytes")?;
        if let Some(encoding) = encoding {
            header.insert_header(CONTENT_ENCODING, encoding.token())?;
        }
        Ok(header)
    }

    async fn open(&self, file: &StaticFile, encoding: Option<Encoding>) -> Result<(File, u64)> {
        let path = match encoding {
            Some(encoding) => self.folder.join(format!("{}.{}", file.sha256, encoding.extension())),
            None => self.folder.join(&file.sha256),
        };
        let open = async {
            let content = File::open(&path).await?;
            let length = content.metadata().await?.len();
            io::Result::Ok((content, length))
        };
        open.await
            .inspect_err(
                |cause| error!(path = %path.display(), error = %cause, "a static file is missing"),
            )
            .or_err(ErrorType::FileOpenError, "a static file")
    }
}

/// Sends whoever asks for a folder to the path with a slash at its end, where the links of its page lead right.
async fn redirect(session: &mut Session, stamp: Stamp<'_>) -> Result<()> {
    let uri = &session.req_header().uri;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut header = ResponseHeader::build(308, Some(4))?;
    header.insert_header(LOCATION, format!("{}/{query}", uri.path()))?;
    header.insert_header(CACHE_CONTROL, ASK_FIRST)?;
    header.insert_header(CONTENT_LENGTH, 0)?;
    stamp.mark(&mut header)?;
    session.write_response_header(Box::new(header), true).await
}

/// Sends a header and `length` octets of a file from the octet `first` on, piece by piece.
async fn stream(
    session: &mut Session,
    mut header: ResponseHeader,
    mut content: File,
    first: u64,
    length: u64,
) -> Result<()> {
    header.insert_header(CONTENT_LENGTH, length)?;
    let bodiless = length == 0 || session.req_header().method == Method::HEAD;
    if !bodiless && first > 0 {
        content.seek(SeekFrom::Start(first)).await.or_err(ErrorType::FileReadError, "seeking")?;
    }
    session.write_response_header(Box::new(header), bodiless).await?;
    let mut left = if bodiless { 0 } else { length };
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let mut buf = BytesMut::with_capacity(piece);
        let mut part = (&mut content).take(piece as u64);
        let read = part.read_buf(&mut buf).await.or_err(ErrorType::FileReadError, "reading")?;
        if read == 0 {
            return Error::e_explain(ErrorType::FileReadError, "a static file is cut short");
        }
        left -= read as u64;
        session.write_response_body(Some(buf.freeze()), left == 0).await?;
    }
    Ok(())
}

fn content_type(path: &str) -> String {
    let guessed = mime_guess::from_path(path).first_or_octet_stream();
    let text = guessed.type_() == "text"
        || ["javascript", "json", "xml"].contains(&guessed.subtype().as_str());
    if text { format!("{guessed}; charset=utf-8") } else { guessed.to_string() }
}
