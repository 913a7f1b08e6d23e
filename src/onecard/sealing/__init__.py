"""Keys and seals: contact details under a key per subscriber, bodies of texts under a key a day.

Every data key is stored wrapped by the master key, which is never in the database. To destroy a data key is
to erase all that it sealed.
"""
