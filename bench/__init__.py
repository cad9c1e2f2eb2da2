"""The benchmark: our statements against an expert's, in one process, on data made here."""
