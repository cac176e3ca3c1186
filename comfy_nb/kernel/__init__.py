"""All that knows IPython and ipykernel: live buttons in a waiting cell, nested asyncio, what is displayed."""
