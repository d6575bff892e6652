"""Settings of the table of games from the literature."""

from pma_replication.settings import Games, Natural, Positive, Section, key


class Literature(Section):
    """A table and a picture: constants, assumptions, equilibria of games from the literature."""

    needs_features = True

    games: Games = key(
        "games of the table `games.md` and the figure `literature`; games of other sections than this and `comparison` "
        "are in `assumptions.md` and `equilibria`"
    )
    n_starts: Natural = key(
        "populations that the search for other equilibria starts from, half of them on a single state"
    )
    step_size: Positive = key("η of PMA in the table", "1/ρ")


SECTIONS = {"literature": Literature}
