//! `fieldpress compare`.
use clap::Args;
/// Compare.
#[derive(Args)]
pub(crate) struct Compare {}
impl Compare {
    pub(crate) fn run(&self) -> fieldpress::Result<()> {
        Ok(())
    }
}
