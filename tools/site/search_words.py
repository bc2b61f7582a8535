"""Sphinx extension: who searches by another word finds the page: words become its keywords.

The order of what is found, chapters before their exercises, is that of search_order.js.
"""

from docutils import nodes

# Words that readers bring, most of them other books' names for a thing.
WORDS = {
    "chapters/interpretability": "explainability XAI LIME SHAP perturbation surrogate transparency",
    "chapters/sensitivity": "saliency heatmap attribution gradients GradCAM",
    "chapters/lrp": "LRP heatmap attribution backpropagation decomposition DeepLIFT saliency",
    "chapters/evaluation": "fidelity faithfulness deletion insertion AOPC benchmark metrics",
    "chapters/applications": "shortcut spurious artefact artifact Clever Hans",
    "chapters/vae": "VAE autoencoder latent generative ELBO",
    "chapters/gans": "GAN generative adversarial discriminator generator synthetic",
    "chapters/uncertainty": "confidence calibration Bayesian ensemble conformal OOD",
    "chapters/bias": "fairness discrimination debiasing stereotype parity",
    "chapters/responsibility": "privacy carbon footprint ethics languages accountability",
}


def add_keywords(app, doctree):
    if words := WORDS.get(app.env.docname):
        doctree.append(nodes.meta(name="keywords", lang="en", content=", ".join(words.split())))


def setup(app):
    app.connect("doctree-read", add_keywords)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
