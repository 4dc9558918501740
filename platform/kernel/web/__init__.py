"""What a route needs: envelopes, fields, its services, the call, and the list of its errors."""
