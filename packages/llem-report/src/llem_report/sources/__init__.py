"""From folders of results to what a report is made of."""
