"""How many datasets are compared, whatever an address asks for."""

from __future__ import annotations

import pytest
from nicegui import ui


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("number", [8, 9])
def test_of_what_an_address_names_the_first_eight_are_compared(visit, number):
    names = [f"20200101-00000{n}-000-abcdef" for n in range(number)]

    async def look(user):
        await user.open(f"/compare?d={','.join(names)}")
        await user.should_see("The catalogue has no dataset", retries=100)
        labels = user.find(kind=ui.label, content="The catalogue has no").elements
        told = sorted(label.text for label in labels)
        assert len(told) == 8
        for name, why in zip(names, told, strict=False):
            assert name in why
        if number > 8:
            await user.should_see("Only the first 8 are shown.")
        else:
            await user.should_not_see("Only the first")
        # Each can be left out, also what is too much; no more can be added.
        out = [link for link in user.find(kind=ui.link).elements if link.text == "✕"]
        assert len(out) == number
        await user.should_not_see(kind=ui.input)

    visit(look)
