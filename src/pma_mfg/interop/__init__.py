"""Games in the form of other libraries (docs/theory, section 16).

`interop.mfglib` needs MFGLib and PyTorch, `interop.pettingzoo` PettingZoo, `interop.gymnasium` Gymnasium,
`interop.openspiel` OpenSpiel; each says so when it is imported without. `interop.bench_mfg` needs nothing.
Nothing else of `pma_mfg` imports them.
"""
