"""Credit control: reserve, extend, settle, expire. No unit is served that is not paid, none is paid twice."""
