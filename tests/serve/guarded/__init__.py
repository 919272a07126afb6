"""A second server, gone before the others start theirs: two cores are soon busy with idle servers."""
