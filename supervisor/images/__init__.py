"""Images: what each is made of, building those that are missing or out of date, looking into them."""
