"""The Studio: the whole pipeline in the browser, on this machine.

Pages only; what they show is worked out in the rooms above.
"""
