"""Applications: maps of many samples added up to numbers that answer a question about a model."""

from .pooling import SIGNED, KINDS, pool_words, pool_regions, pooled_context_use, for_and_against, contrast, truth_auc, truth_mass, signed_reviews, word_kinds, mixed_scenes
from .gallery import ATOMS, JOINTS, World, tones, gait, molecules, questions, WORLDS, of_places, question_of, answered, atom_places
from .faces import SIGNS, Faces, faces
from .game import THINGS, Game, new_games, play, caught, learn, stages

__all__ = ["SIGNED", "KINDS", "pool_words", "pool_regions", "pooled_context_use", "for_and_against", "contrast", "truth_auc", "truth_mass", "signed_reviews", "word_kinds", "mixed_scenes", "ATOMS", "JOINTS", "World", "tones", "gait", "molecules", "questions", "WORLDS", "of_places", "question_of", "answered", "atom_places", "SIGNS", "Faces", "faces", "THINGS", "Game", "new_games", "play", "caught", "learn", "stages"]
