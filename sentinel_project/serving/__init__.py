"""How the web process reads requests and sends answers: no client can hold one of its threads."""
