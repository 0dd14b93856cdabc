//! What is measured, in this order, each part on what the ones before left running.
//!
//! Takes: the arguments. Gives: the table. Does not: go on where a part cannot be measured: it says so in the place of
//! its rows.

mod away;
mod batch;
mod bursts;
mod created;
mod drain;
mod killed;
mod mixed;
mod play;
mod rest;
mod rotated;
mod steady;
mod writers;

use crate::{arguments::Arguments, site::Site, table};
use std::time::Instant;

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let site = Site::start(arguments).await?;
    let mut rows = created::measure(&site).await?;
    eprint!("{}", table::markdown(&rows));
    for part in ["bursts", "rest", "batch", "steady", "mixed", "drain", "killed", "rotated", "away", "writers"] {
        if !arguments.wants(part) {
            continue;
        }
        let began = Instant::now();
        let measured = match part {
            "bursts" => bursts::measure(&site).await,
            "rest" => rest::measure(&site).await,
            "batch" => batch::measure(&site).await,
            "steady" => steady::measure(&site).await,
            "mixed" => mixed::measure(&site).await,
            "drain" => drain::measure(&site).await,
            "killed" => killed::measure(&site).await,
            "rotated" => rotated::measure(&site).await,
            "away" => away::measure(&site).await,
            _ => writers::measure(&site).await,
        };
        match measured {
            Ok(more) => {
                // A run takes an hour and more: what is known so far must not be lost with it.
                eprint!("{}", table::markdown(&more));
                rows.extend(more);
            }
            Err(error) => println!("{part} could not be measured: {error:#}"),
        }
        eprintln!("{part}: {:.0} s", began.elapsed().as_secs_f64());
    }
    let length = if arguments.short { "short run, not for figures" } else { "full run" };
    println!("{length}, {} pipelines resident\n\n{}", arguments.residents(), table::markdown(&rows));
    Ok(())
}
