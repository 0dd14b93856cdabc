//! A whole run: rounds of works, then the table.
//!
//! Takes: [`Run`]. Gives: the table on standard output, progress on standard error, the record in a file when asked
//! for. Does not: go on after a work failed, because a table with holes would look like a measurement.

use crate::{
    arguments::Run,
    figure::Measured,
    machine::Machine,
    outcome::Outcome,
    peers::Peers,
    record, table,
    work::{Programs, Round, Work},
};
use anyhow::Context;
use clap::ValueEnum;
use std::time::Instant;

pub(crate) async fn all(run: &Run) -> anyhow::Result<()> {
    let works = if run.only.is_empty() { Work::value_variants().to_vec() } else { run.only.clone() };
    let programs = programs(run, &works).await?;
    let machine = Machine::observe();
    println!("{}rounds: {}, baseline and ours in turn\n", machine.lines(), run.rounds);
    let mut measured = Vec::new();
    for number in 0..run.rounds {
        for work in &works {
            let round = Round { number, asynq_recovery: run.asynq_recovery && number == 0 };
            measured.extend(one(*work, round, run.rounds, &programs).await?);
        }
    }
    let goals = works.iter().flat_map(|work| work.goals());
    let outcomes: Vec<Outcome> = goals.filter_map(|goal| Outcome::of(goal, &measured)).collect();
    print!("{}", table::markdown(&outcomes));
    if let Some(path) = &run.json {
        record::write(path, &machine, run.rounds, &outcomes)?;
    }
    Ok(())
}

async fn one(work: Work, round: Round, rounds: u32, programs: &Programs) -> anyhow::Result<Vec<Measured>> {
    let name = work.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
    let start = Instant::now();
    eprintln!("bench: round {}/{rounds}: {name} ...", round.number + 1);
    let measured = work.measure(programs, round).await.with_context(|| format!("failed to measure {name}"))?;
    for value in &measured {
        let unit = work.goals().iter().find(|goal| goal.key == value.key).map(|goal| goal.unit);
        let show = |value| unit.map_or(String::new(), |unit| unit.show(value));
        let baseline = value.baseline.map_or(String::new(), |baseline| format!(" (baseline {})", show(baseline)));
        eprintln!("bench:   {} {}{baseline}", value.key, show(value.ours));
    }
    eprintln!("bench:   took {:.0} s", start.elapsed().as_secs_f64());
    Ok(measured)
}

async fn programs(run: &Run, works: &[Work]) -> anyhow::Result<Programs> {
    let own = std::env::current_exe().context("failed to find this program's own path")?;
    let beside = own.parent().map(std::path::Path::to_owned);
    let folder = run.programs.clone().or(beside).context("failed to find the folder of the programs")?;
    let needs_asynq = works.iter().any(|work| work.needs_asynq());
    let peers = Peers::prepare(own, &folder, needs_asynq).await?;
    Ok(Programs { peers, folder })
}
