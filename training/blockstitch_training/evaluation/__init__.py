"""The room of evaluation: how good are students, repairs and segmenters?

Answers: asked_prompts.py makes prompts of questions, systems.py answers them in PyTorch, served.py through the server, answer_scores.py
scores. block_comparison.py, ablation_*.py and repair_curve.py put these together. Segmenters: labelled_cases.py reads documents,
node_segmenters.py runs the server's segmenters, segmentation_metrics.py and setting_choice.py score, segmenter_comparison.py puts these
together, and segmented_answers.py asks questions over their cuts. It knows the demo and the distilling room, and the server's command
line and HTTP interface. It does not know the server's code, and no other room knows it.

Glossary: *plain* means a teacher's blocks merely stitched. *Recovery* is the part of the gap between plain and full attention that a
student wins back. A *case* is a labelled document in units; its *reference* is the true boundaries, a *hypothesis* a segmenter's.
A *setting* is a target length of a segmenter. *Intervals* are 95% bootstrap intervals.
"""
