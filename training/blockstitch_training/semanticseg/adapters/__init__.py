"""One file per family of formats. Each adapter turns the text of one file into sections, pieces or threads. It knows no corpus."""
