//! What the checker found.
//!
//! Gives: [`Report`], printed as a table, and the assertions tests make of it. Does not: look for
//! anything.

use std::{collections::BTreeMap, fmt};

/// The state of a pipeline after a test.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Users stored.
    pub users: usize,
    /// Clients that were told 200.
    pub acknowledged: usize,
    /// Intents by state.
    pub states: BTreeMap<String, usize>,
    /// Mails that the mail server accepted, copies included.
    pub mails: usize,
    /// Users that will never get the mail they were promised, with the reason.
    pub lost: Vec<String>,
    /// Mails to nobody: no user, another address, another Message-ID.
    pub ghosts: Vec<String>,
    /// Mails accepted before they were due.
    pub early: Vec<String>,
    /// Intents that say `sent` before the mail server had the mail (I5).
    pub premature: Vec<String>,
    /// Mails that arrived more than once.
    pub duplicates: Vec<Duplicate>,
    /// Lines of logs or metrics that show a secret.
    pub leaks: Vec<String>,
}

/// A mail that arrived more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// What the copies share.
    pub message_id: String,
    /// How many arrived.
    pub copies: usize,
    /// Text, link and code are the same in all of them (I6).
    pub is_identical: bool,
    /// Dialogues whose end PostgreSQL never heard of, or whose answer was lost: each explains one copy more.
    pub failures: usize,
}

impl Report {
    /// Intents in a state.
    pub fn state(&self, state: &str) -> usize {
        self.states.get(state).copied().unwrap_or(0)
    }

    /// Copies beyond the first of each mail.
    pub fn extra_copies(&self) -> usize {
        self.duplicates.iter().map(|duplicate| duplicate.copies - 1).sum()
    }

    /// Everything that must hold after any fault: nothing lost, invented, early or leaked; copies are identical, and
    /// each is explained by a dialogue whose end was lost.
    ///
    /// # Panics
    ///
    /// With the whole report otherwise.
    pub fn assert_sound(&self) {
        let lists = [&self.lost, &self.ghosts, &self.early, &self.premature, &self.leaks];
        let explained = |copy: &Duplicate| copy.is_identical && copy.copies <= 1 + copy.failures;
        assert!(lists.iter().all(|list| list.is_empty()) && self.duplicates.iter().all(explained), "{self}");
    }

    /// [`Self::assert_sound`], and every user got exactly one mail.
    ///
    /// # Panics
    ///
    /// With the whole report otherwise.
    pub fn assert_exactly_one_mail_each(&self) {
        self.assert_sound();
        assert!(self.duplicates.is_empty(), "{self}");
        assert!(self.mails == self.users && self.state("sent") == self.users && self.users > 0, "{self}");
    }

    /// [`Self::assert_sound`], every user got a mail, and at most `copies` are too many.
    ///
    /// # Panics
    ///
    /// With the whole report otherwise.
    pub fn assert_one_mail_each_but(&self, copies: usize) {
        self.assert_sound();
        assert!(self.state("sent") == self.users && self.users > 0 && self.extra_copies() <= copies, "{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28}{}", "users", self.users)?;
        writeln!(f, "{:<28}{}", "acknowledged signups", self.acknowledged)?;
        for (state, intents) in &self.states {
            writeln!(f, "{:<28}{intents}", format!("intents {state}"))?;
        }
        writeln!(f, "{:<28}{}", "mails accepted", self.mails)?;
        let lists = [
            ("lost", &self.lost),
            ("ghosts", &self.ghosts),
            ("early", &self.early),
            ("sent too soon", &self.premature),
            ("leaks", &self.leaks),
        ];
        for (name, list) in lists {
            writeln!(f, "{name:<28}{}", list.len())?;
            list.iter().take(5).try_for_each(|line| writeln!(f, "    {line}"))?;
        }
        writeln!(f, "{:<28}{}", "copies too many", self.extra_copies())?;
        for copy in self.duplicates.iter().take(5) {
            let Duplicate { message_id, copies, is_identical, failures } = copy;
            writeln!(f, "    {message_id}: {copies} copies, identical: {is_identical}, failures: {failures}")?;
        }
        Ok(())
    }
}
