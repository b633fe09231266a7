"""What messages say, in the language and zone that are active: subject, decision, figures, link."""
