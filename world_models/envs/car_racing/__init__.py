"""CarRacing: its picture drawn faster than Gymnasium draws it."""
