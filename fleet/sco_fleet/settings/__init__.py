"""Settings of all lanes: layers in the database, merged for each lane, checked, signed and rolled out in stages."""
