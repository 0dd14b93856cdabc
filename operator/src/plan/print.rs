//! A decision with its arithmetic, for people.
//!
//! Takes: the decision and the resource. Gives: text. Pure. Does not: decide.

use crate::{
    crd::SignupPipeline,
    scaling::{Decision, Limits, QueueTerms, Terms},
};
use kube::ResourceExt;
use std::fmt::Write as _;

/// Everything that was read, each term, each limit and the sentence.
pub(super) fn text(pipeline: &SignupPipeline, decision: &Decision, running: u32, ready: u32) -> String {
    let limits = Limits::from(&pipeline.spec);
    let namespace = pipeline.namespace().unwrap_or_default();
    let mut text = format!("pipeline   {namespace}/{}, mode {:?}\n", pipeline.name_any(), limits.mode);
    // Writing to a String does not fail.
    let _ = writeln!(text, "workers    {running} asked for, {ready} ready, {} at once each", limits.concurrency);
    if let Some(terms) = &decision.terms {
        terms.queues.iter().for_each(|queue| self::queue(&mut text, queue));
        demand(&mut text, terms, &limits, running);
        bounds(&mut text, terms, &limits, decision);
    }
    let _ = writeln!(text, "decision   {}: {}", decision.desired, decision.explanation);
    text
}

fn queue(text: &mut String, QueueTerms { depth, target, rate_slots, backlog_slots }: &QueueTerms) {
    let paused = if depth.paused { ", paused" } else { "" };
    let _ = writeln!(
        text,
        "queue      {}{paused}: {} pending (the oldest for {:.1} s), {} running, {} due soon; {} attempts \
            ended, {} failed",
        depth.name,
        depth.pending,
        depth.age.as_secs_f64(),
        depth.active,
        depth.due_soon,
        depth.processed,
        depth.failed
    );
    let arrivals = depth.learnt.arrivals_per_s;
    let _ = match depth.learnt.service_s {
        Some(service) => writeln!(
            text,
            "           {arrivals:.2} arrive a second x {service:.3} s each = {rate_slots:.2} slots; the backlog \
                within {} s: {backlog_slots:.2} slots",
            target.as_secs()
        ),
        None => writeln!(
            text,
            "           {arrivals:.2} arrive a second; how long one takes is not known yet, so the backlog wants a \
                slot each: {backlog_slots:.2} slots"
        ),
    };
}

fn demand(text: &mut String, terms: &Terms, limits: &Limits, running: u32) {
    let (rate, backlog, grown) = (terms.rate_slots, terms.backlog_slots, terms.backlog_slots_grown);
    let _ = writeln!(
        text,
        "demand     {rate:.2} + {backlog:.2} = {:.2} slots of {} ({:.2} by workers that have to start first)",
        rate + backlog,
        terms.slots,
        rate + grown
    );
    let meant = f64::from(running) * f64::from(limits.concurrency) * 0.9;
    let (low, high) = (meant * (1.0 - limits.tolerances.down), meant * (1.0 + limits.tolerances.up));
    let _ = writeln!(text, "band       {low:.1} to {high:.1} slots keep {running} workers");
    let _ = writeln!(text, "recommended {}", terms.recommended);
}

fn bounds(text: &mut String, terms: &Terms, limits: &Limits, decision: &Decision) {
    let _ = writeln!(
        text,
        "limits     minReplicas {}, maxReplicas {}, busy {}, needed by the schedule {}",
        limits.min, limits.max, terms.busy, terms.ahead
    );
    let mail = [("maxConnections", limits.mail.connections), ("maxPerSecond", limits.mail.per_second)];
    for (name, limit) in mail {
        if let Some(limit) = limit {
            let _ = writeln!(text, "           mail.smtp.{name} {limit}");
        }
    }
    let _ = writeln!(text, "limited by {}", decision.limited_by.map_or("nothing", |limit| limit.name()));
}
