"""`./app load`: the whole system under the load of many users, with bounds that it must keep."""
