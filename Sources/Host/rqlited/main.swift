print("rqlited")
