//! A saga as a picture: its states, and where each event leads.

use std::fmt;

use crate::saga::next::{Leads, Place};

/// What an event means in a state, as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge {
    /// The state; none where the event begins an instance.
    pub(super) from: Option<&'static str>,
    pub(super) event: &'static str,
    pub(super) leads: Vec<Leads>,
}

/// The states of a saga and where events lead from them. Its text is a Mermaid state diagram.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    pub(super) states: Vec<&'static str>,
    pub(super) edges: Vec<Edge>,
    /// Which events wait in which state.
    pub(super) waits: Vec<(&'static str, &'static str)>,
    /// What may be undone.
    pub(super) undo: Vec<&'static str>,
}

/// What things are called in the picture that are no states.
const UNDOING: &str = "undoing";
const PERSON: &str = "needs_person";
const OUTSIDE: &str = "[*]";

impl Graph {
    /// The first state that no event leads to.
    pub(super) fn unreachable(&self) -> Option<&'static str> {
        let is_led_to = |state: &&&'static str| {
            self.edges.iter().any(|edge| edge.leads.contains(&Leads(Place::State(state))) && edge.from != Some(**state))
        };
        self.states.iter().find(|state| !is_led_to(state)).copied()
    }

    /// The first state that is led to and is none, with what leads there.
    pub(super) fn unknown(&self) -> Option<(&Edge, &'static str)> {
        self.edges.iter().find_map(|edge| {
            edge.leads.iter().find_map(|leads| match leads.0 {
                Place::State(state) if !self.states.contains(&state) => Some((edge, state)),
                _ => None,
            })
        })
    }

    /// What a state is called in the picture, where names may hold letters, digits and `_`.
    fn id(state: &str) -> String {
        state.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stateDiagram-v2")?;
        for state in &self.states {
            write!(f, "\n    state \"{state}\" as {}", Self::id(state))?;
        }
        for Edge { from, event, leads } in &self.edges {
            let from = from.map_or_else(|| OUTSIDE.to_owned(), Self::id);
            for Leads(place) in leads {
                match place {
                    Place::State(state) => write!(f, "\n    {from} --> {} : {event}", Self::id(state))?,
                    Place::End(outcome) => write!(f, "\n    {from} --> {OUTSIDE} : {event} / {outcome}")?,
                    Place::Abort => write!(f, "\n    {from} --> {UNDOING} : {event}")?,
                }
            }
        }
        for state in &self.states {
            let waits = self.waits.iter().filter(|(waits_in, _)| waits_in == state);
            let waits: Vec<&str> = waits.map(|(_, event)| *event).collect();
            if !waits.is_empty() {
                write!(f, "\n    note right of {} : keeps {} for later", Self::id(state), waits.join(", "))?;
            }
        }
        if self.undo.is_empty() {
            return write!(f, "\n    {UNDOING} --> {OUTSIDE} : aborted");
        }
        write!(f, "\n    {UNDOING} --> {OUTSIDE} : compensated")?;
        write!(f, "\n    {UNDOING} --> {PERSON} : what cannot be undone")?;
        write!(f, "\n    {PERSON} --> {UNDOING} : retry, skip")?;
        write!(f, "\n    {PERSON} --> {OUTSIDE} : finish")?;
        write!(f, "\n    note right of {UNDOING} : the last first of {}", self.undo.join(", "))
    }
}
