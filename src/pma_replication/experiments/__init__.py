"""One folder for each experiment: what it measures, how it is judged, how it is drawn."""
