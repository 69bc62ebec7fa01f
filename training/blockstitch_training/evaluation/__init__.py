"""Evaluation of teachers and students: what is asked (questions.py, real_text.py), how answers are scored (scores.py), in PyTorch
(systems.py) and through the served ONNX path (served.py). Entry: `python -m blockstitch_training.evaluate_blocks`."""
