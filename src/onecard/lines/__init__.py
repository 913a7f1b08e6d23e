"""Lines: number pools, a number's place on a card, applications, on and off, bars, schedules, lists."""
