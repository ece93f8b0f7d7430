//! A copy of the checkout as it is, without what is built, fetched or git's.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace;

/// Makes `folder` a copy, and nothing else.
pub(super) fn checkout(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    for from in workspace::every_file()? {
        let path = from.strip_prefix(workspace::root()).context("a path in the checkout")?;
        let to = folder.join(path);
        let parent = to.parent().context("a path of a file")?;
        fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        fs::copy(&from, &to).with_context(|| format!("copy {}", path.display()))?;
    }
    Ok(())
}
