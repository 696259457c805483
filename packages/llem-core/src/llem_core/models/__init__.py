"""What backends share of models; they may import it, and it imports no engine.

``shapes`` has the bundled architectures, ``checkpoint`` finds and reads ``config.json``,
``architecture`` says what kind of model that is, ``tokenizer`` makes tokens of prompts, and
``compute`` counts what one position of a model computes.
"""
