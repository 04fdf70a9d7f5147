"""What the stand-ins share whatever they speak: who may call, a journal of searches, errors that repeat nothing."""
