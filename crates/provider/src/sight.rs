//! What models look at: images, and documents whose pages are images to them. Reads blobs; knows no wire.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codetether_event::BlobId;
use codetether_files::BlobStore;

/// The one kind of document that models look at.
pub(crate) const PDF: &str = "application/pdf";
/// The name of a document, for wires that want one.
pub(crate) const PDF_NAME: &str = "document.pdf";

/// What a blob holds, in base64.
pub(crate) fn base64(blob: &BlobId, blobs: &BlobStore) -> Result<String, codetether_files::Error> {
    Ok(STANDARD.encode(blobs.get(blob)?))
}

/// What a blob holds, as a URL.
pub(crate) fn data_url(
    media_type: &str,
    blob: &BlobId,
    blobs: &BlobStore,
) -> Result<String, codetether_files::Error> {
    Ok(format!("data:{media_type};base64,{}", base64(blob, blobs)?))
}
