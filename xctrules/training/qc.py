"""stub"""


def draw(card, log, looked):
    return "<!doctype html>"
