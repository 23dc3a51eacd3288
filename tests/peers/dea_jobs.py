"""Data envelopment, radial, output orientation, variable returns: each year against itself, by each peer.

Columns of the data: state, year, pcap, pc, emp (inputs), gsp (output). Every fit returns ``scores``, 1 / φ, one a row.
"""

from __future__ import annotations

from measured import Fit, main

INPUTS, OUTPUT = ["pcap", "pc", "emp"], ["gsp"]


def bayes() -> Fit:
    from bayes import Panel, measure

    def fit(frame):
        panel = Panel.from_frame(frame.assign(region="all"), unit="state", time="year", region="region", name="peers")
        found = measure.dea(panel, INPUTS, OUTPUT, returns="vrs", orientation="output").where(estimand="efficiency").frame
        by_row = found.set_index(["unit", "period"])["estimate"]
        return {"scores": by_row.loc[list(zip(frame["state"], frame["year"], strict=True))].to_numpy()}

    return fit


def pyfrontier() -> Fit:
    from Pyfrontier.frontier_model import EnvelopDEA

    def fit(frame):
        scores = frame["year"].astype(float)
        for _, year in frame.groupby("year"):
            model = EnvelopDEA("VRS", "out")
            model.fit(year[INPUTS].to_numpy(), year[OUTPUT].to_numpy())
            scores[year.index] = [result.score for result in model.result]
        return {"scores": (1 / scores).to_numpy()}

    return fit


PEERS = {"bayes": bayes, "Pyfrontier": pyfrontier}

if __name__ == "__main__":
    main(PEERS)
