//! What goes wrong, from the symptom to the cause to the cure.
