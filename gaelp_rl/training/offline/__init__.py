"""Learning from arrays of logged days, without env runners, on the networks of the sprint's learner."""
