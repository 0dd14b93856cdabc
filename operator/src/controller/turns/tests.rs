use super::*;

fn name(number: usize) -> Name {
    Name::new(&format!("p{number}")).within("app")
}

struct Line {
    lines: Lines,
    now: Instant,
}

impl Line {
    fn of(places: u16) -> Self {
        let turns = Turns::new(NonZeroU16::new(places).expect("some"));
        Self { lines: turns.lines.into_inner(), now: Instant::now() }
    }

    fn changed(&mut self, number: usize) {
        self.lines.wait(name(number), false, self.now);
    }

    fn edited(&mut self, number: usize) {
        self.lines.wait(name(number), true, self.now);
    }

    fn take(&mut self) -> Option<usize> {
        let turn = self.lines.take(self.now)?;
        turn.name.name.strip_prefix('p').and_then(|number| number.parse().ok())
    }

    fn end(&mut self, number: usize, is_suspect: bool) {
        self.lines.end(&name(number), is_suspect);
    }

    fn all(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| self.take()).collect()
    }
}

#[test]
fn an_edit_comes_before_a_thousand_others_and_every_fourth_turn_is_another_ones() {
    let mut line = Line::of(1);
    (0..1000).for_each(|number| line.changed(number));
    (1000..1006).for_each(|number| line.edited(number));
    let mut order = Vec::new();
    while let Some(number) = line.take().filter(|_| order.len() < 9) {
        order.push(number);
        line.end(number, false);
    }
    assert_eq!(order, [1000, 1001, 1002, 0, 1003, 1004, 1005, 1, 2]);
}

#[test]
fn an_edit_of_a_pipeline_that_waits_brings_it_forward_and_it_has_one_turn() {
    let mut line = Line::of(1);
    (0..3).for_each(|number| line.changed(number));
    line.edited(2);
    line.changed(2);
    let mut order = Vec::new();
    while let Some(number) = line.take() {
        order.push(number);
        line.end(number, false);
    }
    assert_eq!(order, [2, 0, 1]);
}

#[test]
fn what_happens_during_a_turn_makes_another_one_after_it_and_never_beside_it() {
    let mut line = Line::of(4);
    line.changed(0);
    assert_eq!(line.all(), [0]);
    line.changed(0);
    line.changed(0);
    assert_eq!(line.all(), Vec::<usize>::new());
    line.end(0, false);
    assert_eq!(line.all(), [0]);
    line.end(0, false);
    assert_eq!(line.all(), Vec::<usize>::new());
}

#[test]
fn pipelines_that_fail_share_a_quarter_of_the_places_and_an_edit_finds_one_free() {
    let mut line = Line::of(8);
    for number in 0..20 {
        line.changed(number);
        assert_eq!(line.take(), Some(number));
        line.end(number, true);
        line.changed(number);
    }
    assert_eq!(line.all(), [0, 1], "of those that failed");
    (20..40).for_each(|number| line.changed(number));
    assert_eq!(line.all(), [20, 21, 22, 23, 24]);
    line.edited(39);
    assert_eq!(line.take(), Some(39), "a place was kept for it");
    // One that works again is as any other.
    line.end(0, false);
    line.changed(0);
    assert_eq!(line.lines.waiting.get(&name(0)).map(|wait| wait.class), Some(Class::Changed));
    assert_eq!(line.take(), Some(2), "in its place is another that failed");
}

#[test]
fn the_wait_begins_with_the_first_thing_that_happened_and_that_of_an_edit_with_the_edit() {
    let mut line = Line::of(1);
    line.changed(0);
    line.now += Duration::from_secs(2);
    line.edited(0);
    line.now += Duration::from_secs(3);
    let turn = line.lines.take(line.now).expect("it waits");
    let seconds = Duration::from_secs;
    assert_eq!(turn.waited, [("change", seconds(5)), ("edit", seconds(3))]);
}

#[test]
fn one_place_serves_every_class() {
    let mut line = Line::of(1);
    line.changed(0);
    assert_eq!(line.take(), Some(0));
    line.end(0, true);
    line.changed(0);
    assert_eq!(line.take(), Some(0), "it failed, and has its turn");
}
