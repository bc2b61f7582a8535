// A self-test: choosing an option shows its explanation. questions: [[correct, explanation as HTML], ...] for each.
function startQuiz(figure) {
  const data = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const fields = [...figure.querySelectorAll("fieldset")], score = figure.querySelector(".live-score");
  const number = document.querySelectorAll("[data-quiz][data-alive]").length;
  const right = new Map();
  fields.forEach((field, q) => {
    const output = field.querySelector("output");
    field.querySelectorAll("input").forEach((radio, o) => {
      radio.name = `${figure.dataset.quiz}-${number}-${q}`;
      radio.checked = false;
      radio.disabled = false;
      radio.addEventListener("change", () => {
        const [correct, explanation] = data.questions[q][o];
        field.querySelectorAll("label").forEach((label) => label.removeAttribute("data-answer"));
        radio.closest("label").dataset.answer = correct ? "right" : "wrong";
        output.innerHTML = `<strong>${correct ? "\u2713 Right." : "\u2717 Not this one."}</strong> ${explanation}`;
        output.dataset.answer = correct ? "right" : "wrong";
        right.set(q, correct);
        const count = [...right.values()].filter(Boolean).length;
        score.textContent = `Answered ${right.size} of ${fields.length}, right ${count}.`
          + (count === fields.length ? " All right." : "");
      });
    });
  });
}
